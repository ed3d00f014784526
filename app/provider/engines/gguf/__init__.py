"""GGUF models on llama.cpp's low-level interface, batched."""

ENVIRONMENT = {
    # Otherwise llama.cpp holds a process that it aborts until a debugger has printed the stack.
    "GGML_NO_BACKTRACE": "1",
    # numpy asks for huge pages for what a conversation is copied into. Where memory is fragmented
    # the kernel takes ten times longer to find them: 160 ms in place of 15 for 26 MB.
    "NUMPY_MADVISE_HUGEPAGE": "0",
}
