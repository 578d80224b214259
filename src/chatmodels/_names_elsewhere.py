"""What users of other libraries write by habit, and what stands for it here. Sentences only."""

from __future__ import annotations

_TYPED = "ask for a typed answer: model.with_output(T)"
_SYSTEM = "give it as the first message: [SystemMessage('...'), HumanMessage('...')]"
_WHO = "write it before the model's name: ChatModel('provider:model')"
_WATCH = "for tracing give callbacks=[...], or see chatmodels.telemetry (docs/observability.md)"
_LIMITS = "model.with_limits(requests_per_minute=..., tokens_per_minute=..., max_concurrency=...)"

#: A keyword that would make no sense in a request's body -> what to write instead.
OPTIONS = {
    "api_base": "it is base_url= here",
    "endpoint_url": "it is base_url= here",
    "custom_llm_provider": _WHO,
    "model_provider": _WHO,
    "default_query": "parameters in the address are not sent; Azure's version is api_version= of 'azure:...'",
    "disable_streaming": "leave it out: a call is streamed only by model.stream(...) or streaming=True",
    "drop_params": "leave it out: what a provider does not take is not sent, and answer.warnings tells of it",
    "fallbacks": "model.with_fallback('provider:model', ...)",
    "http_async_client": "http_client= takes an AsyncClient too; each world of calls wants a model of its own then",
    "mock_response": "take a scripted model: chatmodels.testing.ChatScripted(['...'])",
    "model": "model.with_model('...')(...)",
    "num_retries": "it is max_retries= here, which counts all tries",
    "output_schema": _TYPED,
    "output_type": _TYPED,
    "rate_limiter": _LIMITS,
    "project": "OpenAI's goes as headers={'OpenAI-Project': '...'}",
    "region_name": "it is region= here",
    "aws_region": "it is region= here",
    "response_model": _TYPED,
    "role_arn": "name the role in a profile of ~/.aws/config, and give profile=",
    "rpm": _LIMITS,
    "run_name": _WATCH,
    "stream_usage": "leave it out: usage is always asked for",
    "system": _SYSTEM,
    "system_prompt": _SYSTEM,
    "tools": "model.with_tools(f, g)(...)",
    "tpm": _LIMITS,
    "use_responses_api": "it is api='responses' here: ChatOpenAI(..., api='responses')",
}

#: A keyword of 2023 that changed nothing about an answer: not sent, and said so.
WITHOUT_EFFECT = {"verbose": _WATCH, "tags": _WATCH}

#: A method or attribute of a model elsewhere -> ours.
METHODS = {
    "acompletion": "await model.ainvoke(...)",
    "astream_events": "model.astream(...) gives the chunks, each with its .event; chains stream too",
    "chat": "call the model itself: model([...]); code written against the OpenAI SDK: chatmodels.integrations.openai",
    "close": "there is nothing to close: idle connections end by themselves",
    "aclose": "there is nothing to close: idle connections end by themselves",
    "complete": "call the model itself: model('...')",
    "completion": "call the model itself: model([...])",
    "configurable_fields": "make one model for each: model.with_settings(...), model.with_model(...)",
    "create": "call the model itself: model([...])",
    "messages": "call the model itself: model([...])",
    "responses": "call the model itself: ChatOpenAI(..., api='responses')([...])",
    "run": "model.run_tools(...) is the loop of tools; a plain answer is model('...')",
    "run_sync": "model.run_tools(...) is the loop of tools; a plain answer is model('...')",
    "with_config": "model.with_callbacks(...), model.with_settings(...); max_concurrency= is an argument of batch",
    "with_fallbacks": "model.with_fallback('provider:model', ...): the others as arguments, not as a list",
    "with_listeners": "model.with_callbacks(...)",
    "with_options": "model.with_settings(...), model.with_timeouts(...), model.with_retry(...)",
    "with_system": _SYSTEM,
    "with_timeout": "model.with_timeouts(total=...)",
    "with_temperature": "model.with_settings(temperature=...)",
    "with_raw_response": "answer.raw is the decoded answer, answer.request_id its id",
}
