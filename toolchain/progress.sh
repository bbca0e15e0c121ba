# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Runs the steps of a set-up so that a person sees what goes on: everything the
# step prints goes to a log, its last line is shown while the step takes long,
# and one line with the time it took stays. All of it on stderr: stdout belongs
# to the command that a user asked for. Needs $cache from layout.sh.

# One line every few seconds, until killed. It waits by reading from a pipe that
# nobody writes to, because a killed sleep would leave its child behind.
show_progress() {
	local label=$1 log=$2 started=$3 never line every=10
	[ -t 2 ] && every=2
	exec {never}<> <(:)
	while ! read -rt "$every" -u "$never"; do
		[ $((SECONDS - started)) -ge 4 ] || continue
		line=$(tail -c 400 "$log" 2>/dev/null | tr '\r' '\n' | tail -n 1 |
			tr -dc '[:print:]' | cut -c1-90)
		if [ -t 2 ]; then
			printf '\r\033[K%4d s  %s … %s' $((SECONDS - started)) "$label" "${line:0:50}" >&2
		else
			printf '%4d s  %s … %s\n' $((SECONDS - started)) "$label" "$line" >&2
		fi
	done
}

# step LABEL COMMAND…
step() {
	local label=$1 log started=$SECONDS ticker status=0
	shift
	log=$cache/log/${label//[^A-Za-z0-9.-]/_}.$$
	: >"$log"
	show_progress "$label" "$log" "$started" &
	ticker=$!
	"$@" >"$log" 2>&1 </dev/null || status=$?
	kill "$ticker" 2>/dev/null || :
	wait "$ticker" 2>/dev/null || :
	[ -t 2 ] && [ $((SECONDS - started)) -ge 2 ] && printf '\r\033[K' >&2
	if [ "$status" -ne 0 ]; then
		printf '%4d s  %s: FAILED, its last lines:\n' $((SECONDS - started)) "$label" >&2
		tail -n 40 "$log" | sed 's/^/        | /' >&2
		printf '        all of it: %s\n' "$log" >&2
		return "$status"
	fi
	# A step that found nothing to do is not worth a line.
	[ $((SECONDS - started)) -ge 2 ] &&
		printf '%4d s  %s\n' $((SECONDS - started)) "$label" >&2
	rm -f "$log"
	return 0
}
