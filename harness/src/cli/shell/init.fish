# An interactive fish in a lab: read when the user's own settings have been.
set --global --export KUBECONFIG $TOKENLAB_KUBECONFIG
set --global --export PATH $TOKENLAB_BIN (string match --invert -- $TOKENLAB_BIN $PATH)

functions --copy fish_prompt __tokenlab_prompt
function __tokenlab_status
    return $argv[1]
end
function fish_prompt
    set --local last $status
    printf '(lab:%s) ' $TOKENLAB_SHELL
    # The user's own prompt may show it.
    __tokenlab_status $last
    __tokenlab_prompt
end
