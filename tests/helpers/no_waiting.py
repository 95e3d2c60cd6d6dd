"""Notices where the CPU would wait for a GPU, without one."""

from torch.utils._python_dispatch import TorchDispatchMode


class NoWaiting(TorchDispatchMode):
    """Raises where a value is read from a tensor, which on a device makes the host wait."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert "_local_scalar_dense" not in str(func), "the host reads a value"
        return func(*args, **(kwargs or {}))
