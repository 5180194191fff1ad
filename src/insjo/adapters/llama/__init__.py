"""Language models on this machine: llama.cpp's own server (package `xllamacpp`), one supervised child process a loaded model."""
