using System.Text.Json;

namespace SnapshotFlow.Tests.Api;

/// <summary>Who calls in these tests. Every api under test has projects of its own, so tests do not meet.</summary>
public sealed class TestTokens
{
    private readonly string suffix = Guid.NewGuid().ToString("N");

    public string Project => $"project-{suffix}";

    public string OtherProject => $"other-{suffix}";

    public string Member => $"member-{suffix}";

    public string Reader => $"reader-{suffix}";

    public string Admin => $"admin-{suffix}";

    public string OtherMember => $"other-member-{suffix}";

    public string Nobody => $"nobody-{suffix}";

    public string Json => JsonSerializer.Serialize(new
    {
        tokens = new[]
        {
            Entry(Member, Project, "member"),
            Entry(Reader, Project, "reader"),
            Entry(Admin, $"admins-{suffix}", "admin"),
            Entry(OtherMember, OtherProject, "member"),
            Entry(Nobody, Project, "some_other_role"),
        },
    });

    public static object Entry(string token, string project, string role) => new { token, project_id = project, project_name = project, user_id = $"user-of-{role}", roles = new[] { role } };
}
