#!/usr/bin/env bash
# A snapshot was interrupted, and somebody asks for its remains.
. "$(dirname "$0")/lib.sh"
need strace
begin
echo "new work" >>notes.txt
strace -f -qq -o /dev/null -P "$VAULT/objects/pack" -e inject=fsync:signal=KILL:when=1 git-vault snapshot && fail "it should have been killed" || :
LEFT=$(cd "$VAULT/snapshots" && ls -A | grep -v -e "$SNAP" -e "$EARLIER")
keep vault "$VAULT"; keep source "$SOURCE"
refused git vault restore "${LEFT#.incomplete-}" "$DIR"
unchanged vault "$VAULT"
follow
safe "the remains are kept, aside; the sealed snapshots restore, and the new work is sealed"
unchanged source "$SOURCE"
restored "$DIR"; restores "$VAULT" @latest "$SOURCE"
[ -n "$(find "$VAULT/incidents" -name '*.pack' -o -name '*.unfinished')" ]
finish
