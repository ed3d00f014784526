"""The API reference: OpenAPI export, Swagger UI, ReDoc and an offline page."""
