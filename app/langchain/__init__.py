"""The models as LangChain's chat model and embeddings. Needs the extra ``langchain``."""
