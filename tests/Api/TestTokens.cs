using SnapshotFlow.Api.Identity.Development;
using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Tests.Api;

/// <summary>Who calls in these tests. Every api under test has projects of its own, so tests do not meet.</summary>
public sealed class TestTokens
{
    /// <summary>The password of every user.</summary>
    public const string Password = "a password of 31 letters & signs";

    private static readonly PasswordHash Hash = PasswordHash.Of(Password, rounds: 1000);

    private readonly string suffix = Guid.NewGuid().ToString("N");

    public string Project => $"project-{suffix}";

    public string OtherProject => $"other-{suffix}";

    public string AdminProject => $"admins-{suffix}";

    public string Member => $"member-{suffix}";

    public string Reader => $"reader-{suffix}";

    public string Admin => $"admin-{suffix}";

    public string OtherMember => $"other-member-{suffix}";

    public string Nobody => $"nobody-{suffix}";

    /// <summary>The users file: each user has the name and the id of its token here.</summary>
    public string Yaml => $$"""
        projects:
          - {id: {{Project}}, name: {{Project}}}
          - {id: {{OtherProject}}, name: {{OtherProject}}}
          - {id: {{AdminProject}}, name: {{AdminProject}}}
        users:
          - {id: {{Member}}, name: {{Member}}, password: "{{Hash}}", default_project: {{Project}}, roles: { {{Project}}: [member] } }
          - {id: {{Reader}}, name: {{Reader}}, password: "{{Hash}}", roles: { {{Project}}: [reader] } }
          - {id: {{Admin}}, name: {{Admin}}, password: "{{Hash}}", roles: { {{AdminProject}}: [admin] } }
          - {id: {{OtherMember}}, name: {{OtherMember}}, password: "{{Hash}}", roles: { {{OtherProject}}: [member] } }
          - {id: {{Nobody}}, name: {{Nobody}}, password: "{{Hash}}", roles: { {{Project}}: [some_other_role] } }

        """;

    /// <summary>Writes a token for every user's one project, which is the user's name.</summary>
    internal static async Task IssueAsync(Users users, DevelopmentTokenStore store, CancellationToken ct)
    {
        var now = TimeProvider.System.GetUtcNow();
        foreach (var user in users.All)
        {
            var record = new DevelopmentToken
            {
                UserId = user.Id, ProjectId = user.Roles.Keys.Single(), Methods = ["password"], AuditIds = [user.Id], Credential = user.Credential,
                IssuedAt = now, ExpiresAt = now.AddHours(1),
            };
            await store.AddAsync(user.Name, record, DateTimeOffset.UnixEpoch, ct);
        }
    }
}
