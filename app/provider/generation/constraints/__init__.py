"""What an answer must match: grammars, masks over logits, and where thinking has to end."""
