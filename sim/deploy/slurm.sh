#!/bin/sh
# A sweep over many machines as an array of Slurm: sbatch sim/deploy/slurm.sh
#SBATCH --job-name=peerage-sweep
#SBATCH --array=0-63
#SBATCH --cpus-per-task=4
#SBATCH --mem=1G
#SBATCH --time=04:00:00
set -eu

# Which part this is, and of how many, is in SLURM_ARRAY_TASK_ID and its neighbours.
exec "${PEERAGE_SIM:-peerage-sim}" sweep \
  --seeds "${SEEDS:-0..1000000}" \
  --jobs "${SLURM_CPUS_PER_TASK:-4}" \
  --out "${RESULTS:-results}/$SLURM_ARRAY_TASK_ID.jsonl"
