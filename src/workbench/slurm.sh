
run() {
    "$tool" run "$experiment" --threads="${SLURM_CPUS_PER_TASK:-${SLURM_CPUS_ON_NODE:-1}}" "$@"
}

# Submits this file twice: as the tasks, and as the job that merges what they have made.
submit() {
    [ -f "$0" ] || { echo "this script submits itself: write it into a file first" >&2; exit 2; }
    local script tasks merge
    script=$(realpath -- "$0") || exit
    # Slurm does not make the folder of its logs, and a job without one fails silently.
    cd -- "$folder" && mkdir -p runs/slurm || exit
    tasks=$(sbatch --parsable --output="runs/slurm/$name-%A_%a.log" "$script") || exit
    tasks=${tasks%%;*}
    echo "job $tasks trains; logs: $PWD/runs/slurm/$name-${tasks}_*.log"
    [ "$merges" -gt 0 ] || exit 0
    # Not afterok: one task that fails would leave the merge waiting for ever, even once the task has been done again.
    # The merge itself sees whether every fold is done.
    merge=$(sbatch --parsable --output="runs/slurm/$name-%A_%a.log" --array="0-$((merges - 1))" \
        --dependency="afterany:$tasks" "$script" finish) || exit
    merge=${merge%%;*}
    echo "job $merge merges after that; logs: $PWD/runs/slurm/$name-${merge}_*.log"
}

# Puts the task back into the queue. It goes on from its checkpoint. A task that Slurm is ending runs no more: what was
# cancelled must not come again, and what was preempted comes by itself.
again() {
    local task=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
    case $(scontrol show job "$task") in
    *JobState=RUNNING* | *Reason=TimeLimit*)
        echo "$1; it comes again" >&2
        scontrol requeue "$task" && sleep 60 # Slurm ends this script in the meantime
        ;;
    *) echo "$1; Slurm has ended it, and it does not come again" >&2 ;;
    esac
}

if [ -z "${SLURM_ARRAY_TASK_ID:-}" ]; then
    submit
    exit
fi
cd -- "$folder" || exit
if [ "${1:-}" = finish ]; then
    finish "$SLURM_ARRAY_TASK_ID"
    status=$?
    [ "$status" -eq 0 ] || echo "the script, once more by bash, submits what is missing" >&2
    exit "$status"
fi
trap : TERM # the command hears it too, saves, and ends with 75; the script must outlive it
train "$SLURM_ARRAY_TASK_ID"
status=$?
case $status in
75) again "stopped, and saved" ;;
130 | 137 | 143)
    # By a signal: 130 before there was a checkpoint, 137 for lack of memory too. What is killed each time must end.
    if [ "${SLURM_RESTART_COUNT:-0}" -lt 10 ]; then
        again "ended by a signal ($status)"
    else
        echo "ended by a signal ($status), and restarted $SLURM_RESTART_COUNT times before: no more" >&2
    fi
    ;;
esac
exit "$status"
