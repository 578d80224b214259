"""The same batch through each library: a file of prompts in, a file of answers out. One module each, with `work`."""
