namespace SnapshotFlow.Api.Identity;

/// <summary>Who may call. Bound to the section <c>Identity</c>.</summary>
internal sealed class IdentityOptions
{
    /// <summary>
    /// Path of a JSON file, readable by this process only:
    /// <c>{"tokens": [{"token": "…", "project_id": "…", "project_name": "…", "user_id": "…", "roles": ["member"]}]}</c>.
    /// It is read again when it changes; a change that cannot be read is logged and the last good content stays in force.
    /// Roles: <c>reader</c> may read, <c>member</c> may also create and cancel, <c>admin</c> may do so in every project. No default.
    /// </summary>
    public string? TokenFile { get; set; }
}
