"""Set up MXNet once a process: threads, denormals, and NVIDIA's libraries for the CUDA build.

Threads take over how floats are counted from the thread that starts them, and MXNet starts its
own when it is imported and when it is first used. So this comes before either. It needs nothing
of this project, and everything that uses MXNet needs it.
"""
import functools

from models.mxnet_setup import cpu, cuda


@functools.cache
def set_up() -> None:
    """Import MXNet as this project needs it; do nothing from the second call on.

    ImportError with one line on what to do, where MXNet cannot be imported.
    """
    cpu.flush_denormals()
    cpu.use_all_cores()
    cuda.import_mxnet()
    cpu.run_in_calling_thread()
