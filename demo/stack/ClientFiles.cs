using SnapshotFlow.Stack.Processes;

namespace SnapshotFlow.Stack;

/// <summary>
/// What the stock <c>openstack</c> client needs to call a stack: <c>openrc</c> for the demo's project, <c>openrc-admin</c>, and <c>clouds.yaml</c> with both.
/// Source: python-openstackclient, environment variables; openstacksdk, configuration files.
/// </summary>
public static class ClientFiles
{
    /// <summary>Writes them into a directory, for their owner to read.</summary>
    public static async Task WriteAsync(string directory, Uri api, Accounts accounts, CancellationToken ct)
    {
        var identity = new Uri(api, "/identity").ToString();
        Directory.CreateDirectory(directory);
        await SecretFile.WriteAsync(Path.Combine(directory, "openrc"), OpenRc(identity, accounts.Tenant), ct);
        await SecretFile.WriteAsync(Path.Combine(directory, "openrc-admin"), OpenRc(identity, accounts.Admin), ct);
        await SecretFile.WriteAsync(Path.Combine(directory, "clouds.yaml"), $"clouds:\n{Cloud("snapshotflow", identity, accounts.Tenant)}{Cloud("snapshotflow-admin", identity, accounts.Admin)}", ct);
    }

    /// <summary>What <c>./snapshotflow doctor</c> and the workers' own commands need to reach the database and Temporal of a stack: <c>env</c>, for its owner to read.</summary>
    public static Task WriteEnvironmentAsync(string directory, DevelopmentStack stack, CancellationToken ct) => SecretFile.WriteAsync(
        Path.Combine(directory, "env"),
        string.Concat(stack.Temporal.Environment.Append(new("Store__ConnectionString", stack.ConnectionString)).Where(v => v.Value is not null).Select(v => $"export {v.Key}='{v.Value!.Replace("'", "'\\''", StringComparison.Ordinal)}'\n")),
        ct);

    private static string OpenRc(string identity, Account account) => $"""
        # {account.Name} of the development stack: . this file, then for example `openstack server list`
        unset OS_TOKEN OS_CLOUD OS_SYSTEM_SCOPE OS_DOMAIN_ID OS_DOMAIN_NAME OS_PROJECT_ID OS_USER_ID
        export OS_AUTH_TYPE=password
        export OS_AUTH_URL={identity}
        export OS_IDENTITY_API_VERSION=3
        export OS_USERNAME={account.Name}
        export OS_PASSWORD={account.Password}
        export OS_PROJECT_NAME={account.Name}
        export OS_USER_DOMAIN_NAME=Default
        export OS_PROJECT_DOMAIN_NAME=Default
        export OS_REGION_NAME=RegionOne

        """;

    private static string Cloud(string name, string identity, Account account) => $"""
          {name}:
            auth_type: password
            auth:
              auth_url: "{identity}"
              username: {account.Name}
              password: "{account.Password}"
              project_name: {account.Name}
              user_domain_name: Default
              project_domain_name: Default
            identity_api_version: "3"
            region_name: RegionOne

        """;
}
