"""The interface of the model-management project, over this project's models."""
