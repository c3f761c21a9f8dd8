#!/usr/bin/env bash
# Somebody else's file is where the scheduler would look for ours.
. "$(dirname "$0")/lib.sh"
begin
note "a scheduler of the drill's own: it answers, and does nothing"
printf '#!/bin/sh\nexit 0\n' >"$TOP/bin/systemctl"
chmod +x "$TOP/bin/systemctl"
mkdir -p "$HOME/.config/systemd/user"
echo "# somebody else's" >"$HOME/.config/systemd/user/git-vault-sweep.timer"
keep source "$SOURCE"
keep units "$HOME/.config/systemd"
refused git vault schedule install
unchanged units "$HOME/.config/systemd"
skip "loginctl" "it would change the machine"
follow
safe "the timer is ours, theirs is kept, and the workspace is swept"
[ "$(cat "$HOME/unit-evidence")" = "# somebody else's" ] || fail "it is not kept"
git vault schedule status
unchanged source "$SOURCE"
restores "$VAULT" "$SNAP"
finish
