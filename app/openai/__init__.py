"""The dialect of OpenAI's API under ``/v1``: wire models, thin routers, translation."""
