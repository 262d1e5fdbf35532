"""Electricity that a computation used, estimated from its time, cores, memory and GPUs."""

WATTS_PER_CORE = 12.0
"""Power of one busy core: the value of Green Algorithms for a processor that it does not list
("Any" in its table TDP_cpu.csv).
"""

WATTS_PER_GB = 0.3725
"""Power of one gigabyte of memory (Lannelongue et al. 2021, section "Energy Consumption")."""

ASSUMPTIONS = (
    f"{WATTS_PER_CORE:g} W for each busy core, {WATTS_PER_GB:g} W for each GB of the peak memory as"
    " long as the stage ran, and the power that nvidia-smi reads of the visible GPUs, idle or"
    " busy; cooling, disks and network are left out."
)
"""Assumptions of `energy_wh`, shown beside its result."""


def energy_wh(
    seconds: float, cpu_seconds: float, memory_gb: float, gpu_watts: float = 0.0
) -> float:
    """Estimate the energy of a computation.

    E = t_cpu P_core + t (n_GB P_GB + P_GPU), the first equation of Lannelongue, Grealey and Inouye,
    "Green Algorithms: Quantifying the Carbon Footprint of Computation", Advanced Science 8:2100707
    (2021), with the core's time times its usage measured together as CPU time, and without their
    factor for the cooling of a data centre (PUE 1).

    Parameters
    ----------
    seconds : float
        From start to end.
    cpu_seconds : float
        Of all cores together.
    memory_gb : float
        Memory held, in 10^9 bytes.
    gpu_watts : float
        Mean power drawn by all GPUs, 0 without one.

    Returns
    -------
    float
        Watt-hours.
    """
    return (cpu_seconds * WATTS_PER_CORE + seconds * (memory_gb * WATTS_PER_GB + gpu_watts)) / 3600
