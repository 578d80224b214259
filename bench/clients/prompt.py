"""What every client asks for, so that all send the same."""

MODEL = "gpt-4o"
TEXT = "Translate this sentence from English to French: I love programming."
KEY = "x"
# For the embedded model: an answer that goes on for longer than any limit set here.
STORY = "Write a very long story about a ship that sails around the world. Describe every harbour."
