#!/usr/bin/env bash
# Installs Slurm and munge for tests/it/slurm_cluster.rs, where that is possible: Debian or Ubuntu, as root. Else says what is missing;
# the test is skipped then. Where packages start their daemons, those of the test use other ports and sockets.
PATH=$PATH:/usr/sbin:/sbin
for program in munged slurmctld slurmd sbatch srun; do
    command -v "$program" >/dev/null || missing=$program
done
[ -n "${missing:-}" ] || exit 0
{ apt-get update && apt-get install -y --no-install-recommends slurm-wlm munge; } >/dev/null 2>&1 ||
    echo "not installed: slurm-wlm, munge (no $missing); the test that needs them is skipped" >&2
