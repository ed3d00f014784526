"""What is known of model families: how they mark what in prompts and answers."""
