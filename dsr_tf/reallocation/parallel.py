"""The same work for each kernel, on the cores of the host at once.

Numpy lets other threads work while it computes. What a kernel's part is
depends on that kernel alone, so neither does the result on their number.
"""

import concurrent.futures
import functools

# Below as many active weights in all, threads would only get in the way.
_WORTH_IT = 500_000


def map_kernels(function, kernels, *more):
    """`[function(kernel, ...) for ...]`, in threads if there is much to do.

    Args:
        function: What to do for each kernel.
        kernels: List of `Kernel`.
        *more: Lists of further arguments.
    """
    if sum(kernel.num_active for kernel in kernels) < _WORTH_IT:
        return list(map(function, kernels, *more))
    return list(_threads().map(function, kernels, *more))


@functools.cache
def _threads():
    return concurrent.futures.ThreadPoolExecutor(thread_name_prefix="dsr_tf")
