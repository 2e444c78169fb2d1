using System.Net;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text.Json;
using SnapshotFlow.Model;
using SnapshotFlow.Stack.Processes;

namespace SnapshotFlow.Stack;

/// <summary>A user of the development stack, who is named as the user's one project.</summary>
public sealed record Account(string Name, string Password);

/// <summary>The users of a development stack, with passwords that are random for every state directory.</summary>
/// <param name="Tenant">Of <see cref="Tokens.TenantProject"/>.</param>
/// <param name="Other">Of <see cref="Tokens.OtherProject"/>.</param>
/// <param name="Admin">An administrator.</param>
public sealed record Accounts(Account Tenant, Account Other, Account Admin)
{
    private const string OtherUser = "1e8a6f3d5c2b4970b9d1e4f6a7c05382";
    private const string AdminUser = "5c4b3a29180f4e6d9c8b7a6f5e4d3c2b";

    /// <summary>The file from which the API knows them: hashes only.</summary>
    public static string UsersFile(string directory) => Path.Combine(directory, "users.yaml");

    /// <summary>Reads those of a state directory, or makes them.</summary>
    public static async Task<Accounts> LoadOrCreateAsync(string directory, CancellationToken ct)
    {
        var file = Path.Combine(directory, "accounts.json");
        if (!File.Exists(file) || !File.Exists(UsersFile(directory)))
        {
            var made = new Accounts(New("demo"), New("other"), New("admin"));
            await SecretFile.WriteAsync(UsersFile(directory), made.Users(), ct);
            await SecretFile.WriteAsync(file, JsonSerializer.Serialize(made), ct);
        }

        return JsonSerializer.Deserialize<Accounts>(await File.ReadAllTextAsync(file, ct)) ?? throw new StackException($"{file} holds no accounts: remove it, and new ones are made");
    }

    /// <summary>A token for each.</summary>
    public async Task<Tokens> LogInAsync(Uri api, CancellationToken ct) =>
        new(await LogInAsync(api, Tenant, ct), await LogInAsync(api, Other, ct), await LogInAsync(api, Admin, ct));

    /// <summary>A token for one.</summary>
    public static async Task<string> LogInAsync(Uri api, Account account, CancellationToken ct)
    {
        using var http = new HttpClient { BaseAddress = api };
        using var answer = await http.PostAsJsonAsync("/identity/v3/auth/tokens", new
        {
            auth = new
            {
                identity = new { methods = new[] { "password" }, password = new { user = new { name = account.Name, password = account.Password, domain = new { name = "Default" } } } },
                scope = new { project = new { name = account.Name, domain = new { name = "Default" } } },
            },
        }, ct);
        return answer.StatusCode is HttpStatusCode.Created && answer.Headers.TryGetValues("X-Subject-Token", out var token)
            ? token.First()
            : throw new StackException($"the API answered {(int)answer.StatusCode} when {account.Name} logged in: {await answer.Content.ReadAsStringAsync(ct)}");
    }

    private static Account New(string name) => new(name, Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16)));

    // The passwords are random: more rounds would only make every command of a client that logs in wait.
    private static PasswordHash Hash(Account account) => PasswordHash.Of(account.Password, PasswordHash.FewestRounds);

    private string Users() => $$"""
        # Users of the development stack. Changes are in force at once. A new password: ./snapshotflow hash-password
        region: RegionOne
        projects:
          - {id: {{Tokens.TenantProject}}, name: demo, description: Owns the demo's server}
          - {id: {{Tokens.OtherProject}}, name: other, description: Must see nothing of it}
          - {id: {{Tokens.AdminProject}}, name: admin, description: For administration}
        users:
          - id: {{Tokens.TenantUser}}
            name: demo
            password: "{{Hash(Tenant)}}"
            default_project: demo
            roles: {demo: [member]}
          - id: {{OtherUser}}
            name: other
            password: "{{Hash(Other)}}"
            default_project: other
            roles: {other: [member]}
          - id: {{AdminUser}}
            name: admin
            password: "{{Hash(Admin)}}"
            default_project: admin
            roles: {admin: [admin], demo: [admin]}

        """;
}
