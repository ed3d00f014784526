"""What is sent and stored: prompts, pictures, texts, a filled database."""
