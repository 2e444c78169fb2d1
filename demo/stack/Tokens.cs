using System.Security.Cryptography;
using System.Text.Json;
using SnapshotFlow.Stack.Processes;

namespace SnapshotFlow.Stack;

/// <summary>The tokens of the development stack, random for every state directory.</summary>
/// <param name="Tenant">A member of <see cref="TenantProject"/>, which owns the demo's server.</param>
/// <param name="Other">A member of another project, which must see none of it.</param>
/// <param name="Admin">An administrator.</param>
/// <param name="File">The file that the API reads them from.</param>
public sealed record Tokens(string Tenant, string Other, string Admin, string File)
{
    /// <summary>The project of the demo's server.</summary>
    public const string TenantProject = "3f1c0b6e9a7d4e21b5c84d07a2f6e913";

    /// <summary>Another project.</summary>
    public const string OtherProject = "b7d2e5a84c614f0f9e3a1d6c8b05f742";

    /// <summary>The user of <see cref="TenantProject"/>.</summary>
    public const string TenantUser = "9d5e7c1a3b8f4062a4e6d0f1c2b37a58";
    private const string OtherUser = "1e8a6f3d5c2b4970b9d1e4f6a7c05382";
    private const string AdminProject = "0a9b8c7d6e5f41328f7e6d5c4b3a2910";
    private const string AdminUser = "5c4b3a29180f4e6d9c8b7a6f5e4d3c2b";

    /// <summary>Reads the file of a state directory, or makes it.</summary>
    public static async Task<Tokens> LoadOrCreateAsync(StackState state, CancellationToken ct)
    {
        var file = Path.Combine(state.Directory, "tokens.json");
        if (!System.IO.File.Exists(file))
        {
            await SecretFile.WriteAsync(file, JsonSerializer.Serialize(new
            {
                tokens = new[]
                {
                    new { token = NewToken(), project_id = TenantProject, project_name = "demo", user_id = TenantUser, roles = new[] { "member" } },
                    new { token = NewToken(), project_id = OtherProject, project_name = "other", user_id = OtherUser, roles = new[] { "member" } },
                    new { token = NewToken(), project_id = AdminProject, project_name = "admin", user_id = AdminUser, roles = new[] { "admin" } },
                },
            }, new JsonSerializerOptions { WriteIndented = true }), ct);
        }
        using var document = JsonDocument.Parse(await System.IO.File.ReadAllTextAsync(file, ct));
        string Of(string project) => document.RootElement.GetProperty("tokens").EnumerateArray()
            .First(t => t.GetProperty("project_id").GetString() == project).GetProperty("token").GetString()!;
        return new Tokens(Of(TenantProject), Of(OtherProject), Of(AdminProject), file);
    }

    private static string NewToken() => Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16));
}
