namespace SnapshotFlow.Api.Identity.Sessions;

/// <summary>How a person proves to be somebody.</summary>
/// <param name="User">Name.</param>
/// <param name="Password">Password.</param>
/// <param name="Project">Name of the project to work in; null for the user's own.</param>
/// <param name="Domain">Name of the domain of both, where there are several.</param>
internal sealed record Credentials(string User, string Password, string? Project, string Domain)
{
    public override string ToString() => $"{nameof(Credentials)} of {User}";
}

/// <summary>Gives people tokens for their sessions: development's own, or Keystone's.</summary>
internal interface ISignIn
{
    /// <summary>Whether there are several domains, one of which has to be said.</summary>
    bool HasDomains { get; }

    /// <summary>A token for a project. 401 when the credentials are not good, or no project follows from them; 503 when nobody can tell.</summary>
    Task<string> SignInAsync(Credentials credentials, CancellationToken ct);

    /// <summary>Ends a token. One that has ended already stays so.</summary>
    Task SignOutAsync(string token, CancellationToken ct);
}
