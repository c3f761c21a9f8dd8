#!/usr/bin/env bash
# The file system at the destination keeps times to the second only.
. "$(dirname "$0")/lib.sh"
need_mounts
need mkfs.ext4
begin
truncate -s 16M "$TOP/image" && mkfs.ext4 -q -I 128 "$TOP/image" 2>/dev/null
mount -o loop "$TOP/image" /mnt 2>/dev/null || skipped "needs a loop device"
umount /mnt && mounted -o loop "$TOP/image" "$TOP/poor" && rmdir "$TOP/poor/lost+found"
DIR=$TOP/poor/restored
keep vault "$VAULT"
refused git vault restore "$SNAP" "$DIR"
put DIR-or-the-directory-above "$TOP/poor"
follow
safe "nothing was written there; on a file system like the first one everything is restored"
[ -z "$(ls -A "$TOP/poor")" ]
unchanged vault "$VAULT"
restored "$TOP/disk/restored"
[ "$(stat -c %y "$TOP/disk/restored/notes.txt")" = "$(stat -c %y notes.txt)" ]
finish
