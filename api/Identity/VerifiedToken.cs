namespace SnapshotFlow.Api.Identity;

/// <summary>What a good token says. The token itself is in here nowhere.</summary>
internal sealed record VerifiedToken(string UserId, IReadOnlyList<string> Roles, DateTimeOffset ExpiresAt)
{
    public string? UserName { get; init; }

    public string? UserDomainId { get; init; }

    /// <summary>Null: the token is not for a project.</summary>
    public string? ProjectId { get; init; }

    public string? ProjectName { get; init; }

    public string? ProjectDomainId { get; init; }

    /// <summary>The domain the token is for, if it is for one.</summary>
    public string? DomainId { get; init; }

    /// <summary>The token is for the whole deployment.</summary>
    public bool SystemScope { get; init; }

    /// <summary>Roles of the service that passes a user's request on; empty when none does.</summary>
    public IReadOnlyList<string> ServiceRoles { get; init; } = [];
}

/// <summary>Says what tokens mean: development's own, or Keystone's.</summary>
internal interface ITokenVerifier
{
    /// <summary>Null when the token means nothing, is over, or was revoked. 503 when nobody can tell.</summary>
    /// <param name="token">What the caller presented.</param>
    /// <param name="acceptExpired">
    /// Also one that was good not long ago: a service finishes what a user began. Source: Keystone, <c>allow_expired</c>.
    /// </param>
    /// <param name="ct">Gives up.</param>
    Task<VerifiedToken?> VerifyAsync(string token, bool acceptExpired, CancellationToken ct);

    /// <summary>Where callers get tokens.</summary>
    string AuthUri(HttpContext context);
}
