"""Who is measured: the environment each lives in, its client, and the few lines that a new user writes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Peer:
    """`adapter` is a module in bench/clients; `first_answer` prints an answer from the server at `{url}`.

    `importing` loads the package, `naming` what one goes on with (some packages load it only then).
    """

    name: str
    label: str
    env: str
    adapter: str
    package: str
    importing: str = ""
    naming: str = ""
    first_answer: str = ""
    local: bool = False


OURS = Peer(
    name="ours",
    label="chatmodels",
    env="ours",
    adapter="ours",
    package="chatmodels",
    importing="import chatmodels",
    naming="from chatmodels import ChatOpenAI, HumanMessage",
    first_answer="""
from chatmodels import ChatOpenAI, HumanMessage
chat = ChatOpenAI(model="gpt-4o", openai_api_key="x", base_url="{url}")
print(chat([HumanMessage(content="hi")]).text)
""",
)
OPENAI = Peer(
    name="openai",
    label="openai",
    env="openai",
    adapter="openai_sdk",
    package="openai",
    importing="import openai",
    naming="from openai import OpenAI",
    first_answer="""
from openai import OpenAI
client = OpenAI(api_key="x", base_url="{url}")
answer = client.chat.completions.create(model="gpt-4o", messages=[{{"role": "user", "content": "hi"}}])
print(answer.choices[0].message.content)
""",
)
LANGCHAIN = Peer(
    name="langchain",
    label="langchain-openai",
    env="langchain",
    adapter="langchain_client",
    package="langchain-openai",
    importing="import langchain_openai",
    naming="from langchain_openai import ChatOpenAI",
    first_answer="""
from langchain_openai import ChatOpenAI
chat = ChatOpenAI(model="gpt-4o", api_key="x", base_url="{url}")
print(chat.invoke("hi").content)
""",
)
LITELLM = Peer(
    name="litellm",
    label="litellm",
    env="litellm",
    adapter="litellm_client",
    package="litellm",
    importing="import litellm",
    naming="from litellm import completion",
    first_answer="""
import litellm
answer = litellm.completion(model="openai/gpt-4o", api_base="{url}", api_key="x",
                            messages=[{{"role": "user", "content": "hi"}}])
print(answer.choices[0].message.content)
""",
)
PYDANTIC_AI = Peer(
    name="pydantic-ai",
    label="pydantic-ai",
    env="pydantic-ai",
    adapter="pydantic_ai_client",
    package="pydantic-ai-slim",
    importing="import pydantic_ai",
    naming="from pydantic_ai.models.openai import OpenAIChatModel",
    first_answer="""
from pydantic_ai import ModelRequest
from pydantic_ai.direct import model_request_sync
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
model = OpenAIChatModel("gpt-4o", provider=OpenAIProvider(base_url="{url}", api_key="x"))
print(model_request_sync(model, [ModelRequest.user_text_prompt("hi")]).text)
""",
)
URLLIB3 = Peer(
    name="urllib3",
    label="urllib3 + msgspec",
    env="bare",
    adapter="bare_urllib3",
    package="urllib3",
    importing="import urllib3, msgspec",
    naming="from urllib3 import PoolManager\nfrom msgspec import json",
    first_answer="""
import msgspec, urllib3
body = msgspec.json.encode({{"model": "gpt-4o", "messages": [{{"role": "user", "content": "hi"}}]}})
answer = urllib3.PoolManager().request("POST", "{url}/chat/completions", body=body)
print(msgspec.json.decode(answer.data)["choices"][0]["message"]["content"])
""",
)
AIOHTTP = Peer(
    name="aiohttp",
    label="aiohttp + msgspec",
    env="bare",
    adapter="bare_aiohttp",
    package="aiohttp",
    importing="import aiohttp, msgspec",
    naming="from aiohttp import ClientSession\nfrom msgspec import json",
    first_answer="""
import aiohttp, asyncio, msgspec
async def main():
    body = msgspec.json.encode({{"model": "gpt-4o", "messages": [{{"role": "user", "content": "hi"}}]}})
    url = "{url}/chat/completions"
    async with aiohttp.ClientSession() as session, session.post(url, data=body) as answer:
        print(msgspec.json.decode(await answer.read())["choices"][0]["message"]["content"])
asyncio.run(main())
""",
)
RAW = Peer(name="raw", label="raw socket", env="bare", adapter="raw_floor", package="msgspec")
OURS_LOCAL = Peer(
    name="ours-local", label="ChatLocal", env="ours", adapter="local_ours", package="chatmodels", local=True
)
XLLAMACPP = Peer(
    name="xllamacpp",
    label="xllamacpp",
    env="xllamacpp",
    adapter="local_direct",
    package="xllamacpp",
    local=True,
)

PEERS = {
    peer.name: peer
    for peer in (OURS, OPENAI, LANGCHAIN, LITELLM, PYDANTIC_AI, URLLIB3, AIOHTTP, RAW, OURS_LOCAL, XLLAMACPP)
}
