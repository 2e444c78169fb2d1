namespace SnapshotFlow.Stack;

/// <summary>A token of each user of the development stack, got when it started.</summary>
/// <param name="Tenant">A member of <see cref="TenantProject"/>, which owns the demo's server.</param>
/// <param name="Other">A member of another project, which must see none of it.</param>
/// <param name="Admin">An administrator.</param>
public sealed record Tokens(string Tenant, string Other, string Admin)
{
    /// <summary>The project of the demo's server.</summary>
    public const string TenantProject = "3f1c0b6e9a7d4e21b5c84d07a2f6e913";

    /// <summary>Another project.</summary>
    public const string OtherProject = "b7d2e5a84c614f0f9e3a1d6c8b05f742";

    /// <summary>The administrator's project.</summary>
    public const string AdminProject = "0a9b8c7d6e5f41328f7e6d5c4b3a2910";

    /// <summary>The user of <see cref="TenantProject"/>.</summary>
    public const string TenantUser = "9d5e7c1a3b8f4062a4e6d0f1c2b37a58";
}
