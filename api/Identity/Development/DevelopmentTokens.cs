using System.Buffers.Text;
using System.Security.Cryptography;
using Microsoft.Extensions.Options;
using SnapshotFlow.Api.Requests;
using SnapshotFlow.Store;

namespace SnapshotFlow.Api.Identity.Development;

/// <summary>
/// Issues tokens and says what they mean. A token ends with its time, when it is revoked, and when the users file no longer has its user, role or password.
/// </summary>
internal sealed class DevelopmentTokens(DevelopmentTokenStore store, UserDirectory directory, IOptions<IdentityOptions> options, TimeProvider time) : ITokenVerifier
{
    /// <summary>How long an expired token is still good for a service that finishes a user's work. Source: Keystone, <c>[token] allow_expired_window</c>.</summary>
    private static readonly TimeSpan ExpiredWindow = TimeSpan.FromHours(48);

    public string AuthUri(HttpContext context) => context.Url("/identity");

    /// <summary>A new token, and what it says.</summary>
    public async Task<(string Token, IssuedToken Issued)> IssueAsync(User user, Project? project, string[] methods, IssuedToken? parent, CancellationToken ct)
    {
        var token = Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(32));
        var audit = Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(16));
        // PostgreSQL keeps microseconds, and what is answered now must be what is answered later.
        var now = time.GetUtcNow() is var precise ? precise.AddTicks(-(precise.Ticks % TimeSpan.TicksPerMicrosecond)) : default;
        // A token made from another one lives no longer than that one.
        var record = new DevelopmentToken
        {
            UserId = user.Id,
            ProjectId = project?.Id,
            Methods = parent is null ? methods : [.. parent.Record.Methods.Union(methods)],
            AuditIds = parent is null ? [audit] : [audit, parent.Record.AuditIds[^1]],
            Credential = user.Credential,
            IssuedAt = now,
            ExpiresAt = parent?.Record.ExpiresAt ?? now + options.Value.Development.TokenLifetime,
        };
        await store.AddAsync(token, record, now - ExpiredWindow, ct);
        return (token, new(record, user, project));
    }

    /// <summary>What a token says; null when it says nothing any more.</summary>
    public async Task<IssuedToken?> FindAsync(string token, bool acceptExpired, CancellationToken ct)
    {
        var endingAfter = time.GetUtcNow() - (acceptExpired ? ExpiredWindow : TimeSpan.Zero);
        if (await store.FindAsync(token, endingAfter, ct) is not { } record)
        {
            return null;
        }

        var users = directory.Users;
        var user = users.User(record.UserId);
        var project = record.ProjectId is { } id ? users.Project(id) : null;
        var good = user is { Enabled: true } && user.Credential == record.Credential
            && (record.ProjectId is null || (project is { Enabled: true } && user.Roles.ContainsKey(project.Id)));
        return good ? new(record, user!, project) : null;
    }

    public Task RevokeAsync(string token, CancellationToken ct) => store.RevokeAsync(token, ct);

    public async Task<VerifiedToken?> VerifyAsync(string token, bool acceptExpired, CancellationToken ct) =>
        await FindAsync(token, acceptExpired, ct) is not { } issued ? null : new(issued.User.Id, issued.Roles, issued.Record.ExpiresAt)
        {
            UserName = issued.User.Name,
            UserDomainId = Users.DomainId,
            ProjectId = issued.Project?.Id,
            ProjectName = issued.Project?.Name,
            ProjectDomainId = issued.Project is null ? null : Users.DomainId,
        };
}

/// <summary>A token as it was written down, with what the users file says about it now.</summary>
internal sealed record IssuedToken(DevelopmentToken Record, User User, Project? Project)
{
    public IReadOnlyList<string> Roles => Project is null ? [] : User.Roles[Project.Id];
}
