#!/usr/bin/env bash
# Another machine that shares the vault seals its snapshot first. Between the two, locks are not seen.
. "$(dirname "$0")/lib.sh"
need strace
begin
echo "new work" >>notes.txt
keep source "$SOURCE"
note "the other one starts later and comes first: this one's disk is slow"
traced() { strace -f -qq -o /dev/null -e inject=flock:retval=0 "$@"; }
other() {
  while [ "$(ls -A "$VAULT/snapshots" | wc -l)" = 2 ]; do :; done
  traced git-vault --vault "$VAULT" snapshot -m "the other one"
}
other >"$TOP/other" 2>&1 &
refused traced -P "$VAULT/snapshots" -e inject=fsync:delay_enter=2500000 git-vault --vault "$VAULT" snapshot -m "this one"
wait
show "$TOP/other"
follow
safe "what the other one sealed stands, the next snapshot is sealed, the source is untouched"
unchanged source "$SOURCE"
restores "$VAULT" @latest "$SOURCE"; restores "$VAULT" "$SNAP"
finish
