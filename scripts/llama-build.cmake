# Read by llama-cpp-python's CMake project (CMAKE_PROJECT_llama_cpp_INCLUDE, see run.sh).
# llama.cpp's "common" library (argument parsing, chat formats, downloads) is half of the compile time
# and nothing that the Python package loads links against it. llama-cpp-python forces the cache entry
# ON; a normal variable of the same name hides it (CMake policy CMP0126).
set(LLAMA_BUILD_COMMON OFF)
