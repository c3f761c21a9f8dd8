#!/usr/bin/env bash
# There is no room for the vault to grow.
. "$(dirname "$0")/lib.sh"
need_mounts
begin "without snapshots"
mounted -t tmpfs -o size=24m,mode=700 tmpfs "$TOP/small"
git config vault.home "$TOP/small/vaults"
seal SNAP; VAULT=$(ls -d "$TOP"/small/vaults/*.vault); cp -a "$SOURCE" "$TOP/original"
head -c 10M /dev/zero >"$TOP/small/somebody-elses.bin"
keep vault "$VAULT"
refused git vault snapshot -m "today"
gives GV-1302 "3:git vault snapshot"
echo "new work" >>notes.txt
follow
unchanged vault "$VAULT"
restores "$VAULT" "$SNAP"; safe_in_new_vault

note "there is room to be had"
git config vault.home "$TOP/small/vaults"
refused git vault --vault "$VAULT" snapshot -m "today"
by_hand "Make room outside the vault" 'rm "$TOP/small/somebody-elses.bin"'
skip "4:git" "there is room"
follow
safe "with room, the next snapshot is sealed; without, a new vault on another disk takes it, and the old one is as it was"
restores "$VAULT" "$SNAP"
finish
