"""GPUs: NVIDIA's through NVML, AMD's and Intel's from the kernel's files."""
