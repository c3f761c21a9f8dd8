# What the drills of the runbook share. Sourced by each tests/runbook/*.sh; GIT_VAULT names the program.
#
# A drill builds a small workspace with a vault, breaks one thing, shows the refusal, follows the checklist as
# `git vault runbook` prints it, and says and checks what is safe then. Its output is a transcript.
# shellcheck shell=bash
set -Eeuo pipefail

if [ "$(uname)" != Linux ] || [ "${BASH_VERSINFO[0]}" -lt 5 ]; then
  echo "SKIPPED: ${0##*/}: needs Linux and bash 5" >&2
  exit 0
fi

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CODE=$(basename "$0" .sh)
PROGRAM=$(realpath "${GIT_VAULT:?names the program}")

fail() { printf '\nDRILL FAILED: %s\n' "$*"; exit 1; }
skipped() { printf 'SKIPPED: %s: %s\n' "$CODE" "$*" >&2; exit 0; }
note() { printf '\n== %s\n' "$*"; }
need() { command -v "$1" >/dev/null || skipped "needs $1"; }

# Runs the drill again in a mount namespace of its own: what is mounted goes away with it.
need_mounts() {
  [ -n "${DRILL_MAY_MOUNT:-}" ] && return
  for way in "unshare --mount" "unshare --map-root-user --mount"; do
    if $way mount -t tmpfs tmpfs /mnt 2>/dev/null; then DRILL_MAY_MOUNT=1 exec $way bash "$0"; fi
  done
  skipped "needs to mount a file system"
}

# Root may read everything: runs the drill again without that power.
need_permissions() {
  [ "$(id -u)" != 0 ] || [ -n "${DRILL_POWERLESS:-}" ] && return
  need setpriv
  DRILL_POWERLESS=1 exec setpriv --bounding-set=-dac_override,-dac_read_search,-fowner bash "$0"
}

# ---- the scene -------------------------------------------------------------------------------------------------------

TOP='' MOUNTED=() HELPERS=()
clean_up() {
  local one
  for one in "${HELPERS[@]}"; do kill "$one" 2>/dev/null || :; done
  cd /
  for one in "${MOUNTED[@]}"; do umount -l "$one" || :; done
  [ -z "$TOP" ] || { chmod -R u+rwX "$TOP" && rm -rf "$TOP"; } 2>/dev/null || :
}
trap clean_up EXIT
trap 'echo "DRILL FAILED: ${BASH_SOURCE[0]##*/}, line $LINENO: $BASH_COMMAND"' ERR

# A home of its own, a workspace with work of every kind, and, unless told `without snapshots`, two snapshots.
begin() {
  need perl
  unset "${!XDG_@}" "${!GIT_@}" EMAIL
  TOP=$(realpath "$(mktemp -d "${TMPDIR:-/tmp}/git-vault-drill-XXXXXX")")
  export HOME=$TOP/home TMPDIR=$TOP/tmp LC_ALL=C TZ=UTC GIT_CONFIG_NOSYSTEM=1 PATH="$TOP/bin:$PATH"
  mkdir -m 700 "$HOME" "$TMPDIR" "$TOP/bin" "$TOP/disk" "$TOP/work"
  ln -s "$PROGRAM" "$TOP/bin/git-vault"
  printf '[user]\n\tname = A U Thor\n\temail = author@example.com\n[init]\n\tdefaultBranch = main\n[gc]\n\tauto = 0\n' >"$HOME/.gitconfig"
  SOURCE=$TOP/work/project DIR=$TOP/work/restored VAULT='' SNAP='' EARLIER=''
  build_repository "$SOURCE"
  cd "$SOURCE"
  if [ "${1:-}" != "without snapshots" ]; then
    seal EARLIER
    cp -a "$SOURCE" "$TOP/before"
    echo "more work" >>notes.txt
    seal SNAP
    VAULT=$(newest_vault)
    cp -a "$SOURCE" "$TOP/original"
  fi
  note "$CODE: the scene is set"
}

build_repository() {
  git init --quiet "$1"
  (
    cd "$1"
    mkdir src
    echo "one" >src/one.txt; echo "two" >src/two.txt; echo "notes" >notes.txt
    git add . && git commit --quiet -m first
    echo "in a stash" >>src/two.txt && git stash push --quiet
    echo "committed" >>src/one.txt && git commit --quiet -am second
    echo "staged" >staged.txt && git add staged.txt
    echo "not staged" >>src/two.txt; echo "untracked" >untracked.txt
  )
}

# Seals the workspace and puts the id into the variable named.
seal() {
  git vault --json snapshot -m "for the drill" >"$TOP/sealed" 2>"$TOP/stderr" || { cat "$TOP/stderr"; fail "no snapshot"; }
  printf -v "$1" %s "$(sed 's/.*"id":"\([a-z]*\)".*/\1/' "$TOP/sealed")"
}

vaults() { ls -d "$HOME"/.local/share/git-vault/vaults/*.vault "$TOP"/disk/vaults/*.vault 2>/dev/null || :; }
newest_vault() { vaults | xargs -r ls -dt --time=birth | head -n 1; }
newest_entry() { ls "$VAULT"/log/*.toml | tail -n 1; }
key_file() { ls "$HOME"/.config/git-vault/keys/*/*.key | head -n 1; }

# Changes the byte in the middle of a file, whatever its mode.
damage() {
  local middle byte
  middle=$(($(stat -c %s "$1") / 2))
  byte=$(od -An -tu1 -j "$middle" -N 1 "$1")
  chmod u+w "$1"
  # shellcheck disable=SC2059
  printf "\\x$(printf %02x $((byte ^ 1)))" | dd of="$1" bs=1 seek="$middle" conv=notrunc status=none
}

mounted() { mkdir -p "${*: -1}"; mount "$@"; MOUNTED+=("${*: -1}"); }

# ---- the refusal -----------------------------------------------------------------------------------------------------

OUT='' STATUS=0
show() { sed 's/^/    | /' "$1"; }

# Runs a command that must be refused with the code of this drill, in the form of every refusal.
refused() { refused_with "$CODE" "$@"; }
refused_with() {
  local code=$1 row severity name exit due found
  shift
  printf '\n$ %s\n' "${*//$TOP/…}"
  STATUS=0
  "$@" >"$TOP/stdout" 2>"$TOP/stderr" </dev/null || STATUS=$?
  show "$TOP/stderr"
  OUT=$(sed -n '/^REFUSED /,$p' "$TOP/stderr") # git may have warned before
  [ ! -s "$TOP/stdout" ] || { show "$TOP/stdout"; fail "a refusal belongs on standard error"; }
  row=$(grep "\"$code\"" "$HERE/../../src/model/refusal_code.rs") || fail "there is no code $code"
  read -r _ _ name severity exit <<<"${row//[;\"]/}"
  [ "$STATUS" = "$exit" ] || fail "exit status $STATUS, expected $exit"
  due="REFUSED  SEV-${severity#Sev}  $code $name   exit $exit"
  [ "$(head -n 1 <<<"$OUT")" = "$due" ] || fail "the first line should be: $due"
  found=$(sed -n 's/^\([A-Z]\+\) .*/\1/p' <<<"$OUT" | grep -vx NEXT | tr '\n' ' ')
  due="REFUSED WHAT WHY STATE KEPT MORE "
  [ "$severity" != Sev1 ] || due="REFUSED WHAT WHY STATE KEPT NOTED MORE "
  [ "$found" = "$due" ] || fail "fields: $found, expected: $due"
  echo "    exit $STATUS"
}

# The path in a field of the last refusal.
under() { sed -n "/^$1 /,/^[A-Z]/p" <<<"$OUT" | grep -o "'/[^']*'" | head -n 1 | tr -d "'"; }

# ---- the checklist ---------------------------------------------------------------------------------------------------

declare -A VALUE=() PLAN=() USED=()
PATTERNS=()
plan() { [ -n "${PLAN["$1"]+x}" ] || PATTERNS+=("$1"); PLAN["$1"]=$2; }

# What is declared before `follow`. A pattern is a part of the command as the runbook has it; `2:pattern` only in step 2.
put() { VALUE["$1"]=$2; }              # put PLACEHOLDER VALUE
skip() { plan "$1" "skip $2"; }        # skip PATTERN REASON: this command is not for this case
gives() { plan "$2" "gives $1"; }      # gives STATUS|CODE PATTERN: it ends so, and not with 0
answer() { plan "$1" "answer $2"; }    # answer PATTERN TEXT: it asks, and is told so
by_hand() { plan "$1" "hand $2"; }     # by_hand PATTERN COMMAND: a step in words, and what a person does then

# Steps that look at the machine and not at the vault: run, however they end.
ANY_END=("ps -ef")
dmesg() { command dmesg 2>&1 | tail -n 3 || :; } # of the machine, not of the drill
less() { head -n 3 "$@"; } # a pager would wait for somebody

planned() { # KIND STEP TEXT
  local pattern
  for pattern in "${PATTERNS[@]}"; do
    local text=$pattern
    if [[ $pattern =~ ^[0-9]+: ]]; then
      [ "${pattern%%:*}" = "$2" ] || continue
      text=${pattern#*:}
    fi
    if [[ ${PLAN["$pattern"]} == "$1 "* && $3 == *"$text"* ]]; then
      USED["$pattern"]=1
      printf -v FOUND %s "${PLAN["$pattern"]#* }"
      return 0
    fi
  done
  return 1
}

# The words of the runbook, replaced by what they stand for here.
filled() {
  local name text=$1
  for name in $(printf '%s\n' "${!VALUE[@]}" | awk '{ print length($0), $0 }' | sort -rn | cut -d' ' -f2); do
    text=$(NAME=$name TO=${VALUE[$name]} perl -pe '$after = $ENV{NAME} =~ m{/} ? "" : "."; s{(?<![\w.])\Q$ENV{NAME}\E(?![\w$after]|-or-)}{$ENV{TO}}g' <<<"$text")
  done
  [[ ! $text =~ (^|[^A-Za-z_/.])(SNAP|DIR|VAULT|KIT|KEY|NUMBER|FILE|NAME)($|[^A-Za-z_.]) && ! $text =~ (^|[ \'])/?path/ &&
    ! $text =~ /another/ ]] || fail "nobody said what this stands for: $text"
  printf %s "$text"
}

# Steps of a section of the runbook, in order. Without an argument: those of this drill's code.
follow() {
  local line step=0 command due lines text
  put SNAP "$SNAP"; put DIR "$DIR"; put VAULT "$VAULT"; put /another/disk "$TOP/disk"
  for text in WHAT WHY STATE; do [ -z "$(under $text)" ] || put /path/under/$text "${VALUE[/path/under/$text]:-$(under $text)}"; done
  case ${1:-$CODE} in
    GV-*) git vault runbook "${1:-$CODE}" >"$TOP/checklist" ;;
    *) section "$1" >"$TOP/checklist" ;;
  esac
  note "the checklist, as it is printed"
  mapfile -t lines <"$TOP/checklist"
  for line in "${lines[@]}"; do
    if [[ $line =~ ^([0-9]+)\.\  ]]; then step=${BASH_REMATCH[1]}; fi
    if [[ ! $line =~ ^\ {4,}[^\ ] ]]; then
      [ -z "$line" ] || printf '%s\n' "$line"
      if planned hand "$step" "$line"; then run "by hand" 0 "$FOUND" /dev/null; fi
      continue
    fi
    line=${line#"${line%%[! ]*}"}
    if planned skip "$step" "$line"; then printf '  $ %s\n    left out: %s\n' "$line" "$FOUND"; continue; fi
    due=0
    if planned gives "$step" "$line"; then due=$FOUND; fi
    for text in "${ANY_END[@]}"; do [[ $line != *"$text"* ]] || due=any; done
    command=$(filled "$line") || fail "$command"
    if planned answer "$step" "$line"; then printf '%s\n' "$FOUND" >"$TOP/answer"; else : >"$TOP/answer"; fi
    run "$line" "$due" "$command" "$TOP/answer"
  done
  for line in "${PATTERNS[@]}"; do [ -n "${USED["$line"]+x}" ] || fail "no step has: $line"; done
  PLAN=() USED=() PATTERNS=()
}

# Runs one command of the checklist in this shell, so that what it sets stays set.
run() { # SHOWN DUE COMMAND INPUT
  local status=0
  printf '  $ %s\n' "${3//$TOP/…}"
  set +u # as in the shell of whoever reads the runbook
  eval "$3" >"$TOP/stdout" 2>&1 <"$4" || status=$?
  set -u
  head -n 20 "$TOP/stdout" | cut -c 1-240 | show /dev/stdin
  case $2 in
    any) ;;
    GV-*) OUT=$(cat "$TOP/stdout")
      grep -q "^REFUSED  SEV-[123]  $2 " <<<"$OUT" || fail "this should have been refused with $2: $1" ;;
    *) [ "$status" = "$2" ] || fail "exit status $status, expected $2: $1" ;;
  esac
}

# A section of the whole runbook, by its heading.
section() {
  git vault runbook | awk -v heading="$1" '/^##/ { on = substr($0, index($0, " ") + 1) == heading } on'
}

# ---- the end ---------------------------------------------------------------------------------------------------------

safe() { note "safe means: $*"; }

# Names, kinds, modes and content of everything below a place; but a checklist may set things in the configuration.
fingerprint() {
  (cd "$1" && find . -printf '%y %m %l %P\n' | sort && find . -type f ! -path ./.git/config -exec sha256sum {} + | sort -k 2)
}
keep() { fingerprint "$2" >"$TOP/kept-$1"; }
unchanged() {
  fingerprint "$2" | diff "$TOP/kept-$1" - || fail "$2 is not as it was"
  echo "unchanged: $1"
}

# Two workspaces hold the same work, as git and the file system see it.
same_work() {
  diff -r --no-dereference --exclude=.git "$1" "$2" || fail "$1 and $2 differ"
  local question
  for question in "status --porcelain" "ls-files --stage" "stash list" "log --all --format=%H" "for-each-ref"; do
    # shellcheck disable=SC2086
    [ "$(git -C "$1" $question)" = "$(git -C "$2" $question)" ] || fail "$1 and $2 differ in git $question"
  done
  git -C "$2" fsck --full --strict >/dev/null || fail "git finds fault with $2"
}
restored() { same_work "${2:-$TOP/original}" "$1"; echo "restored, and the same: ${1##*/}"; }

# A snapshot of a vault, restored once more, is what is in the second place.
restores() { # VAULT SNAP EXPECTED
  rm -rf "$TOP/check"
  (cd "$HOME" && git-vault --quiet --vault "$1" restore "$2" "$TOP/check") || fail "$2 is not restored from $1"
  same_work "${3:-$TOP/original}" "$TOP/check"
  echo "restorable: $2 of $(basename "$1")"
}

# What is in the workspace now is sealed in a vault other than the old one.
safe_in_new_vault() {
  local new
  new=$(newest_vault)
  [ "$new" != "$VAULT" ] || fail "there is no new vault"
  restores "$new" @latest "$SOURCE"
}

# The evidence in the vault and in the copy is what was found.
evidence_kept() { unchanged vault "$VAULT"; [ ! -d "$TOP/disk/${1:-vault-evidence}" ] || unchanged vault "$TOP/disk/${1:-vault-evidence}"; }

finish() { printf '\n%s: SAFE\n' "$CODE"; }
