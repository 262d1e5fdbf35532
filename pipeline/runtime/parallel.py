"""Work over cases in parallel: processes of this machine, or a dask or ray cluster."""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any

from ..core import params
from ..core.cores import usable_cores
from ..core.errors import InputError
from .errors import explained

log = logging.getLogger(__name__)


@contextmanager
def computing(compute: params.Compute) -> Iterator[None]:
    """Run `over_cases` on the backend of the section `compute` within the block.

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
                f" ({error}). Run pip install {error.name}."
            ) from None
        except OSError as error:
            raise InputError(
                f"params.yaml: compute.address is {compute.address!r}, but no {compute.backend}"
                f" scheduler answers there ({error}). Start it, or correct the address."
            ) from None
        stack.enter_context(parallel_config(compute.backend, n_jobs=workers))
        yield


_join: ContextVar[Callable[[], Any]] = ContextVar("_join", default=lambda: None)


@contextmanager
def computing_on_demand(compute: params.Compute) -> Iterator[None]:
    """As `computing`, but entered by the first `over_cases`: other stages need no joblib."""
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
    """Connect to the scheduler at an address, or start workers on this machine."""
    from distributed import Client, LocalCluster

    here = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    where = address or stack.enter_context(
        LocalCluster(n_workers=workers, threads_per_worker=1, **here)
    )
    stack.enter_context(Client(where))


def _ray(stack: ExitStack, address: str, workers: int) -> None:
    """Connect to the cluster at an address, or start workers on this machine."""
    import ray
    from ray.util.joblib import register_ray

    where = {"address": address} if address else {"num_cpus": workers, "include_dashboard": False}
    ray.init(**where, log_to_driver=False)
    stack.callback(ray.shutdown)
    register_ray()


_BACKENDS = {"loky": lambda stack, address, workers: None, "dask": _dask, "ray": _ray}


def over_cases(work: Callable, cases: Iterable, describe: str, workers: int | None = None) -> list:
    """Apply a function to every case in parallel, with a progress bar.

    Parameters
    ----------
    work : callable
        Takes one case; its result depends only on the case.
    cases : iterable
        Its arguments.
    describe : str
        Label of the progress bar.
    workers : int, optional
        Number of processes; when None, those of `computing`, or all usable cores.

    Returns
    -------
    list
        Results in the order of the cases.

    Raises
    ------
    InputError
        With the messages of all cases that cannot be processed. In a stage also as `computing`.
    """
    from joblib import Parallel, delayed
    from joblib.parallel import get_active_backend

    from ..core.progress import Bar

    _join.get()()
    cases = list(cases)
    backend, wanted = get_active_backend()
    workers = min(workers or wanted or usable_cores(), max(len(cases), 1))
    log.debug(
        "%s: %d cases by %d workers of %s", describe, len(cases), workers, type(backend).__name__
    )
    as_they_come = "generator" if backend.supports_return_generator else "list"
    results = Parallel(n_jobs=workers, return_as=as_they_come, batch_size=1)(
        delayed(_caught)(work, case) for case in cases
    )
    shown = {"desc": describe, "unit": "case", "disable": not cases}
    results = list(Bar(results, total=len(cases), **shown))
    faults = [str(result) for result in results if isinstance(result, InputError)]
    if faults:
        raise InputError("\n".join([*faults, f"{len(faults)} of {len(cases)} cases rejected."]))
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
