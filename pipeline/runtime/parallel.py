"""Work over cases in parallel: processes of this machine, or a dask or ray cluster."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any

from ..core import params
from ..core.errors import InputError
from .errors import explained


@contextmanager
def computing(compute: params.Compute) -> Iterator[None]:
    """Let `over_cases` work where the section `compute` says, for a while.

    Raises
    ------
    InputError
        If the library of the backend is not installed, or its scheduler cannot be reached.
    """
    from joblib import parallel_config

    workers = compute.workers or usable_cores()
    with ExitStack() as stack:
        try:
            _BACKENDS[compute.backend](stack, compute.address, workers)
        except ImportError as error:
            raise InputError(
                f"params.yaml: compute.backend is {compute.backend}, which is not installed"
                f" ({error}): pip install {error.name}."
            ) from None
        except OSError as error:
            raise InputError(
                f"params.yaml: compute.address is {compute.address!r}, and no {compute.backend}"
                f" answers there ({error})."
            ) from None
        stack.enter_context(parallel_config(compute.backend, n_jobs=workers))
        yield


_join: ContextVar[Callable[[], Any]] = ContextVar("_join", default=lambda: None)


@contextmanager
def computing_on_demand(compute: params.Compute) -> Iterator[None]:
    """As `computing`, begun by the first `over_cases`: a stage without one asks nothing of joblib
    or of a cluster.
    """
    with ExitStack() as stack:

        def join() -> None:
            stack.enter_context(computing(compute))
            _join.set(lambda: None)

        before = _join.set(join)
        try:
            yield
        finally:
            _join.reset(before)


def _dask(stack: ExitStack, address: str, workers: int) -> None:
    """Join the scheduler at an address, or workers of our own."""
    from distributed import Client, LocalCluster

    here = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    where = address or stack.enter_context(
        LocalCluster(n_workers=workers, threads_per_worker=1, **here)
    )
    stack.enter_context(Client(where))


def _ray(stack: ExitStack, address: str, workers: int) -> None:
    """Join the cluster at an address, or workers of our own."""
    import ray
    from ray.util.joblib import register_ray

    where = {"address": address} if address else {"num_cpus": workers, "include_dashboard": False}
    ray.init(**where, log_to_driver=False)
    stack.callback(ray.shutdown)
    register_ray()


_BACKENDS = {"loky": lambda stack, address, workers: None, "dask": _dask, "ray": _ray}


def over_cases(work: Callable, cases: Iterable, describe: str, workers: int | None = None) -> list:
    """Apply a function to every case in parallel, with a progress bar, results in order.

    Parameters
    ----------
    work : callable
        Taking one case; its results depend on nothing but the case.
    cases : iterable
        What it is applied to.
    describe : str
        What the progress bar says is being done.
    workers : int, optional
        Number of processes; when None, those of `computing`, or all usable cores.

    Returns
    -------
    list
        Results in the order of the cases.

    Raises
    ------
    InputError
        With the messages of all cases that could not be processed, not only of the first. Within a
        stage also as `computing`, whose section takes effect with the first call.
    """
    from joblib import Parallel, delayed
    from joblib.parallel import get_active_backend
    from tqdm import tqdm

    _join.get()()
    cases = list(cases)
    backend, wanted = get_active_backend()
    workers = min(workers or wanted or usable_cores(), max(len(cases), 1))
    as_they_come = "generator" if backend.supports_return_generator else "list"
    results = Parallel(n_jobs=workers, return_as=as_they_come, batch_size=1)(
        delayed(_caught)(work, case) for case in cases
    )
    results = list(
        tqdm(
            results, total=len(cases), desc=describe, unit="case", mininterval=1, disable=not cases
        )
    )
    faults = [str(result) for result in results if isinstance(result, InputError)]
    if faults:
        raise InputError("\n".join([*faults, f"{len(faults)} of {len(cases)} cases refused."]))
    return results


def _caught(work: Callable, case: Any) -> Any:
    try:
        return work(case)
    except InputError as fault:
        return fault
    except OSError as fault:
        if not fault.filename:
            raise
        return InputError(explained(fault))


def usable_cores() -> int:
    """Cores this process may run on, at least one."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
