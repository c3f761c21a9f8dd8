#!/usr/bin/env bash
# Somebody wrote a comment into the settings of a coding agent, which knows none there.
. "$(dirname "$0")/lib.sh"
begin
mkdir "$HOME/.claude"
SETTINGS=$HOME/.claude/settings.json
printf '{\n  // mine\n  "model": "x"\n}\n' >"$SETTINGS"
cp "$SETTINGS" "$TOP/as-it-was"
keep vault "$VAULT"; keep source "$SOURCE"
refused git vault agents install claude
cmp "$SETTINGS" "$TOP/as-it-was"
gives 3 "1:git vault agents status"
by_hand "3. Mend it by hand" "sed -i '/mine/d' '$SETTINGS'"
follow
safe "the settings hold what they held and the entries, and the copy what was there; a snapshot is made before an agent acts"
cmp "$SETTINGS.kept" "$TOP/as-it-was"
grep -q '"model": "x"' "$SETTINGS"
unchanged vault "$VAULT"; unchanged source "$SOURCE"
echo "new work" >>notes.txt
printf '{"cwd":"%s","tool_name":"Bash","tool_input":{"command":"git reset --hard"}}' "$SOURCE" >"$TOP/message"
git vault agents hook claude <"$TOP/message"
restores "$VAULT" @latest "$SOURCE"
git vault agents uninstall claude
sed '/mine/d' "$TOP/as-it-was" | cmp - "$SETTINGS"
finish
