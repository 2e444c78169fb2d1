using SnapshotFlow.Api.Identity.Development;
using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Tests.Api;

/// <summary>Who calls in these tests. Every api under test, and every test that begins anew with one, has projects of its own, so tests do not meet.</summary>
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

    /// <summary>The users file of all of these: each user has the name and the id of its token here.</summary>
    public static string YamlOf(IReadOnlyCollection<TestTokens> all) => $"""
        projects:
        {string.Concat(all.Select(t => t.ProjectLines))}
        users:
        {string.Concat(all.Select(t => t.UserLines))}
        """;

    private string ProjectLines => $$"""
          - {id: {{Project}}, name: {{Project}}}
          - {id: {{OtherProject}}, name: {{OtherProject}}}
          - {id: {{AdminProject}}, name: {{AdminProject}}}

        """;

    private string UserLines => $$"""
          - {id: {{Member}}, name: {{Member}}, password: "{{Hash}}", default_project: {{Project}}, roles: { {{Project}}: [member] } }
          - {id: {{Reader}}, name: {{Reader}}, password: "{{Hash}}", roles: { {{Project}}: [reader] } }
          - {id: {{Admin}}, name: {{Admin}}, password: "{{Hash}}", roles: { {{AdminProject}}: [admin] } }
          - {id: {{OtherMember}}, name: {{OtherMember}}, password: "{{Hash}}", roles: { {{OtherProject}}: [member] } }
          - {id: {{Nobody}}, name: {{Nobody}}, password: "{{Hash}}", roles: { {{Project}}: [some_other_role] } }

        """;

    /// <summary>Writes a token for each of these users' one project, which is the user's name.</summary>
    internal async Task IssueAsync(Users users, DevelopmentTokenStore store, CancellationToken ct)
    {
        var now = TimeProvider.System.GetUtcNow();
        foreach (var user in users.All.Where(u => u.Name.EndsWith(suffix, StringComparison.Ordinal)))
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
