"""Wire models that v4 adds: stored conversations and templates that users edit."""
