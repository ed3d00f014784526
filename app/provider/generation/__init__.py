"""From messages to the tokens of a prompt, and from drawn tokens to the text of an answer."""
