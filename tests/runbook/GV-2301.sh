#!/usr/bin/env bash
# The disk at the destination fails in the middle of a restore.
. "$(dirname "$0")/lib.sh"
need strace
begin
keep vault "$VAULT"; keep source "$SOURCE"
refused strace -f -qq -o /dev/null -e inject=fchmod:error=EIO:when=9 git-vault restore "$SNAP" "$DIR"
[ ! -e "$DIR" ] || fail "there should be no destination"
LEFT=$(ls -d "${DIR%/*}"/.git-vault-restore-*) && keep left "$LEFT"
follow
safe "what was left is kept, no destination looks restored, and another place gets all of it"
unchanged left "$LEFT"; unchanged source "$SOURCE"
[ ! -e "$DIR" ]
restored "$DIR-again"
finish
