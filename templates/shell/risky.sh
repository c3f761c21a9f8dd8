# Whether a git command can destroy work, told by its words. Only for a command that git does not have is git itself asked: it
# may be an alias.
__git_vault_risky() {
  @LOCAL_RULES@
  local depth="$1" base='' count=0 operands=0 creates='' verb word alias
  local flags="$-" IFS=$' \t\n'
  shift
  if [ "$depth" -gt 9 ]; then return 0; fi
  local all
  all=("$@")
  while [ $# -gt 0 ]; do
    case "$1" in
      -C)
        if [ $# -lt 2 ]; then return 1; fi
        case "$2" in
          '') ;;
          /*) base="${2%/}/" ;;
          *) base="$base${2%/}/" ;;
        esac
        count=$((count + 2))
        shift 2
        ;;
      -c | --git-dir | --work-tree | --namespace | --config-env | --super-prefix | --attr-source)
        if [ $# -lt 2 ]; then return 1; fi
        count=$((count + 2))
        shift 2
        ;;
      -*)
        count=$((count + 1))
        shift
        ;;
      *) break ;;
    esac
  done
  if [ $# -eq 0 ]; then return 1; fi
  verb="$1"
  shift
  case "$verb" in
    checkout-index | filter-branch | filter-repo | history | prune | read-tree | rebase | restore | rm | update-ref) return 0 ;;
    reset)
      case "${1-}" in --soft) return 1 ;; *) return 0 ;; esac
      ;;
    clean)
      case "${1-}" in -n | -nd | -dn | -nx | -nX | -ndx | -ndX | --dry-run) return 1 ;; *) return 0 ;; esac
      ;;
    stash)
      case "${1-}" in drop | clear | pop | apply | branch) return 0 ;; *) return 1 ;; esac
      ;;
    worktree | remote)
      case "${1-}" in remove | rm | prune) return 0 ;; *) return 1 ;; esac
      ;;
    reflog)
      case "${1-}" in expire | delete | drop) return 0 ;; *) return 1 ;; esac
      ;;
    sparse-checkout)
      case "${1-}" in '' | list | check-rules) return 1 ;; *) return 0 ;; esac
      ;;
    am | apply | branch | checkout | cherry-pick | commit | fast-import | gc | lfs | merge | mv | notes | pull | push | repack | \
      replace | revert | submodule | switch | symbolic-ref | tag) ;;
    add | annotate | archive | bisect | blame | bundle | cat-file | check-attr | check-ignore | cherry | clone | commit-graph | \
      commit-tree | config | count-objects | describe | diff | diff-files | diff-index | diff-tree | difftool | fast-export | \
      fetch | for-each-ref | format-patch | fsck | grep | gui | hash-object | help | hook | init | interpret-trailers | log | \
      ls-files | ls-remote | ls-tree | maintenance | merge-base | merge-file | merge-tree | mergetool | multi-pack-index | \
      name-rev | pack-refs | range-diff | rev-list | rev-parse | send-email | shortlog | show | show-branch | show-ref | status | \
      stripspace | update-index | var | vault | verify-commit | verify-pack | verify-tag | version | whatchanged | write-tree)
      return 1
      ;;
    *)
      alias="$(command git ${all[@]+"${all[@]:0:$count}"} config --get "alias.$verb" 2>/dev/null)" || return 0
      # What git does not have may be a slip that it puts right, a program of somebody else, or a line of shell.
      case "$alias" in '' | !*) return 0 ;; esac
      # Git takes it apart at blanks, too; what quotes hold together does not matter here.
      set -f
      # shellcheck disable=SC2086
      set -- ${all[@]+"${all[@]:0:$count}"} $alias "$@"
      case "$flags" in *f*) ;; *) set +f ;; esac
      __git_vault_risky $((depth + 1)) "$@"
      return
      ;;
  esac
  for word in "$@"; do
    case "$verb:$word" in
      am:--ab* | am:--sk* | am:--qu* | cherry-pick:--ab* | cherry-pick:--sk* | cherry-pick:--qu* | merge:--ab* | merge:--qu* | \
        revert:--ab* | revert:--sk* | revert:--qu*) return 0 ;;
      apply:-R* | apply:-[!-]*R* | apply:--rev*) return 0 ;;
      branch:-[DMCf]* | branch:-[!-]*[DMCf]* | branch:--f*) return 0 ;;
      checkout:-- | checkout:. | checkout:-[fBmp23]* | checkout:-[!-]*[fBmp23]*) return 0 ;;
      checkout:--f* | checkout:--m* | checkout:--o* | checkout:--p* | checkout:--th*) return 0 ;;
      checkout:-b* | checkout:--b*) creates=1 ;;
      commit:--am*) return 0 ;;
      fast-import:--f* | mv:-f* | mv:-[!-]*f* | mv:--f*) return 0 ;;
      gc:--pr* | lfs:prune) return 0 ;;
      notes:remove | notes:prune | notes:-f | notes:--f*) return 0 ;;
      pull:-[rf]* | pull:-[!-]*[rf]* | pull:--reb* | pull:--au* | pull:--f*) return 0 ;;
      push:-[fd]* | push:-[!-]*[fd]* | push:--f* | push:--m* | push:--de* | push:--pru* | push:+* | push::*) return 0 ;;
      repack:-[aAd]* | repack:-[!-]*[aAd]*) return 0 ;;
      replace:-d* | replace:--d* | replace:-f* | replace:--f*) return 0 ;;
      submodule:deinit | submodule:foreach | submodule:-f | submodule:--f*) return 0 ;;
      switch:-[fCm]* | switch:-[!-]*[fCm]* | switch:--f* | switch:--di* | switch:--m* | switch:--o*) return 0 ;;
      symbolic-ref:-d | symbolic-ref:--d*) return 0 ;;
      tag:-[df]* | tag:-[!-]*[df]* | tag:--d* | tag:--f*) return 0 ;;
      checkout:-*) ;;
      checkout:*)
        # One word may be a branch or a file; two are a branch and a file, unless a branch is made.
        operands=$((operands + 1))
        case "$word" in *[*?[]* | :*) return 0 ;; esac
        if [ -e "$base$word" ]; then return 0; fi
        if [ "$operands" -ge 2 ] && [ -z "$creates" ]; then return 0; fi
        ;;
    esac
  done
  return 1
}
