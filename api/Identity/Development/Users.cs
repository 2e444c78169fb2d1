using System.Security.Cryptography;
using System.Text;
using SnapshotFlow.Api.Configuration;
using SnapshotFlow.Model;

namespace SnapshotFlow.Api.Identity.Development;

/// <summary>A project of the users file.</summary>
internal sealed record Project(string Id, string Name, string Description, bool Enabled);

/// <summary>A user of the users file.</summary>
/// <param name="Id">The id.</param>
/// <param name="Name">The name to log in with.</param>
/// <param name="Password">As the file has it.</param>
/// <param name="DefaultProjectId">The project of a token that is asked for without one; null for none.</param>
/// <param name="Enabled">Whether the user may log in, and the user's tokens are good.</param>
/// <param name="Roles">Roles by project id, with those that they imply.</param>
internal sealed record User(
    string Id, string Name, PasswordHash Password, string? DefaultProjectId, bool Enabled, IReadOnlyDictionary<string, IReadOnlyList<string>> Roles)
{
    /// <summary>Changes with the password; says nothing about it.</summary>
    public string Credential { get; } = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(Password.ToString())))[..32];
}

/// <summary>
/// The content of a users file. One domain, <c>Default</c>, as in most small clouds. A role implies what Keystone's bootstrap makes it imply: <c>admin</c> is
/// also <c>manager</c> and <c>member</c>, <c>member</c> is also <c>reader</c>.
/// </summary>
internal sealed class Users
{
    public const string DomainId = "default";
    public const string DomainName = "Default";

    private static readonly Dictionary<string, string[]> Implied = new(StringComparer.OrdinalIgnoreCase)
    {
        ["admin"] = ["manager", "member", "reader"],
        ["manager"] = ["member", "reader"],
        ["member"] = ["reader"],
    };

    private Users(string region, IReadOnlyList<Project> projects, IReadOnlyList<User> users)
    {
        Region = region;
        Projects = projects;
        All = users;
        Nobody = PasswordHash.OfNobody(users.Max(u => u.Password.Rounds));
    }

    /// <summary>The region of every endpoint in the catalog. Default <c>RegionOne</c>.</summary>
    public string Region { get; }

    public IReadOnlyList<Project> Projects { get; }

    public IReadOnlyList<User> All { get; }

    /// <summary>What the password of a user that there is not is checked against: no password is right, and it takes as long as a user's.</summary>
    public PasswordHash Nobody { get; }

    /// <exception cref="FormatException">It is missing, unreadable or not a users file; the message has path, line and key, and repeats no password.</exception>
    public static Users Load(string path) => YamlField.ReadFile(path, Of);

    public Project? Project(string id) => Projects.FirstOrDefault(p => p.Id == id);

    public User? User(string id) => All.FirstOrDefault(u => u.Id == id);

    /// <summary>The id of a role, which has none in the file: always the same for a name.</summary>
    public static string RoleId(string name) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"role {name}")))[..32];

    /// <summary>Every role that somebody has, with those implied.</summary>
    public IEnumerable<string> Roles => All.SelectMany(u => u.Roles.Values).SelectMany(r => r).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal);

    private static Users Of(YamlField document)
    {
        var members = document.Members(["projects", "users"], ["region"]);
        List<Project> projects = [];
        foreach (var item in members["projects"].Items())
        {
            var fields = item.Members(["id", "name"], ["description", "enabled"]);
            var project = new Project(
                Id(fields["id"]), fields["name"].Name(), fields.TryGetValue("description", out var text) ? text.Text() : "",
                !fields.TryGetValue("enabled", out var enabled) || enabled.Boolean());
            Unique(projects.Exists(p => p.Id == project.Id), fields["id"], "another project has this id");
            Unique(projects.Exists(p => p.Name == project.Name), fields["name"], "another project has this name");
            projects.Add(project);
        }

        List<User> users = [];
        foreach (var item in members["users"].Items())
        {
            var user = UserOf(item, projects);
            Unique(users.Exists(u => u.Id == user.Id), item, "another user has this id");
            Unique(users.Exists(u => u.Name == user.Name), item, "another user has this name");
            users.Add(user);
        }

        return users.Count == 0
            ? throw members["users"].Wrong("there is no user, so that nobody could call")
            : new(members.TryGetValue("region", out var region) ? region.Name() : "RegionOne", projects, users);
    }

    private static User UserOf(YamlField item, List<Project> projects)
    {
        var fields = item.Members(["id", "name", "password", "roles"], ["default_project", "enabled"]);
        Dictionary<string, IReadOnlyList<string>> roles = [];
        foreach (var (name, given) in fields["roles"].Members())
        {
            var names = given.Items().Select(r => r.Name()).ToList();
            roles.Add(ProjectOf(name, given, projects).Id, [.. names.Concat(names.SelectMany(n => Implied.GetValueOrDefault(n, []))).Distinct(StringComparer.Ordinal)]);
        }

        string? home = null;
        if (fields.TryGetValue("default_project", out var field))
        {
            home = ProjectOf(field.Name(), field, projects).Id;
            Unique(!roles.ContainsKey(home), field, "the user has no role in it");
        }

        return new(Id(fields["id"]), fields["name"].Name(), Hash(fields["password"]), home, !fields.TryGetValue("enabled", out var enabled) || enabled.Boolean(), roles);
    }

    private static Project ProjectOf(string name, YamlField field, List<Project> projects) =>
        projects.Find(p => p.Name == name) ?? throw field.Wrong($"there is no project '{name}' in this file");

    private static PasswordHash Hash(YamlField field)
    {
        try
        {
            return PasswordHash.Parse(field.Text());
        }
        catch (FormatException e) when (!e.Message.StartsWith("line", StringComparison.Ordinal))
        {
            throw field.Wrong(e.Message);
        }
    }

    private static string Id(YamlField field) => field.Name() is var id && id.Length <= 64 && id.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_')
        ? id
        : throw field.Wrong("an id has 1 to 64 letters, digits, - and _");

    private static void Unique(bool wrong, YamlField field, string why)
    {
        if (wrong)
        {
            throw field.Wrong(why);
        }
    }
}
