import sys; sys.path.insert(0,'tests')
from test_schema import *
@given(schema=keywords(schemas) | schemas_with_refs, values=st.lists(small_json, min_size=4, max_size=10))
@settings(max_examples=1500, deadline=None)
def test_sound(schema, values):
    for transform in (strict_openai, for_anthropic, for_google_json, inline_refs):
        out, notes = transform(schema)
        if notes: continue
        for v in [*values, *EACH_VALUE]:
            if validate(v, out) == []:
                assert validate(drop_absent(v, schema), schema) == [], (transform.__name__, v, out)
