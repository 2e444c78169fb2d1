using SnapshotFlow.Stack;

namespace SnapshotFlow.Tests.Client;

/// <summary><c>./snapshotflow import</c>, and that the stock client sees what it registered.</summary>
public sealed class ImportingAFile(ClientAndStack both)
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_a_file_holds_is_there_for_the_client_and_importing_it_again_changes_nothing()
    {
        var (volume, server) = (Guid.NewGuid(), Guid.NewGuid());
        var yaml = $$"""
            volume_types:
              - name: imported
            volumes:
              - id: {{volume}}
                project_id: {{Tokens.TenantProject}}
                size: 2
                backend: node-1@file
                name: imported-root
                volume_type: imported
                bootable: true
            servers:
              - id: {{server}}
                project_id: {{Tokens.TenantProject}}
                name: imported
                vm_state: stopped
                block_devices:
                  - {volume_id: {{volume}}, boot_index: 0, device_name: /dev/vda}
            quotas:
              - project_id: {{Tokens.OtherProject}}
                limits: {snapshots_imported: 4}
            """;
        for (var i = 0; i < 2; i++)
        {
            var (code, said) = await ImportAsync(yaml, both.Stack.Accounts.Admin);
            Assert.True(code == 0, said);
            Assert.Contains("registered: 1 volume types, 1 volumes, 1 servers, 1 quota limits", said, StringComparison.Ordinal);
            Assert.Equal("SHUTOFF", (await both.Demo.RunAsync("server show imported -f json")).Succeeds()["status"]);
            Assert.Equal("imported", (await both.Demo.RunAsync($"volume show {volume} -f json")).Succeeds()["type"]);
            Assert.Equal("4", (await both.Admin.RunAsync("quota show other -f json")).Succeeds()["snapshots_imported"]);
        }
    }

    [Theory]
    [InlineData("volumes:\n  - id: x\n    project_id: p\n    size: 1\n    backend: n@b\n", ".yaml:2: volumes[0].id: Value: x. It is not a 'uuid'")]
    [InlineData("volumes:\n  - id: 6a1d7f0c-3b52-4e8f-9c1d-2f6b8a4e7d90\n    project_id: p\n    size: 0\n    backend: n@b\n", ".yaml:4: volumes[0].size: Value: 0. 0 is less than the minimum of 1")]
    [InlineData("volumes:\n  - id: 6a1d7f0c-3b52-4e8f-9c1d-2f6b8a4e7d90\n    project_id: p\n    size: 1\n    backend: n@b\n    volume_type: none\n", ".yaml:6: volumes[0].volume_type: There is no volume type 'none'")]
    [InlineData("servers: []\nflavors: []\n", "Additional properties are not allowed ('flavors' was unexpected)")]
    [InlineData("servers: [\n", ".yaml:2: it is no YAML")]
    [InlineData("- a\n", ".yaml:1: a mapping with the keys volume_types, volumes, servers, quotas is expected")]
    public async Task A_mistake_is_said_with_line_and_key(string yaml, string message)
    {
        var (code, said) = await ImportAsync(yaml, both.Stack.Accounts.Admin);
        Assert.Equal(1, code);
        Assert.Contains(message, said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Who_is_no_administrator_imports_nothing()
    {
        var (code, said) = await ImportAsync("servers: []", both.Stack.Accounts.Tenant);
        Assert.Equal(1, code);
        Assert.Contains("demo of demo may not import: Policy doesn't allow snapshotflow:admin:servers to be performed.", said, StringComparison.Ordinal);
        Assert.Contains("openrc-admin", said, StringComparison.Ordinal);
        Assert.Contains("answered 401 when demo logged in", (await ImportAsync("servers: []", both.Stack.Accounts.Tenant with { Password = "wrong" })).Said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Who_imports_must_be_said_and_a_file_must_be_there()
    {
        var (code, said) = await both.RunScriptAsync(new Dictionary<string, string?> { ["OS_AUTH_URL"] = null }, "import", "nowhere.yaml");
        Assert.Equal(1, code);
        Assert.Contains("nowhere.yaml", said, StringComparison.Ordinal);
        (code, said) = await both.RunScriptAsync(new Dictionary<string, string?>(), "import");
        Assert.NotEqual(0, code);
        Assert.Contains("import <file>", said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_command_that_there_is_not_is_said_with_those_that_there_are()
    {
        var (code, said) = await both.RunScriptAsync(new Dictionary<string, string?>(), "imprt");
        Assert.Equal(1, code);
        Assert.Contains("error: there is no command 'imprt'", said, StringComparison.Ordinal);
        Assert.Contains("import FILE", said, StringComparison.Ordinal);
    }

    private async Task<(int Code, string Said)> ImportAsync(string yaml, Account account)
    {
        var file = Path.Combine(Path.GetTempPath(), $"snapshotflow-import-{Guid.NewGuid():N}.yaml");
        await File.WriteAllTextAsync(file, yaml, Ct);
        try
        {
            return await both.RunScriptAsync(
                new Dictionary<string, string?>
                {
                    ["OS_AUTH_URL"] = new Uri(both.Stack.Api, "/identity").ToString(), ["OS_USERNAME"] = account.Name, ["OS_PROJECT_NAME"] = account.Name, ["OS_PASSWORD"] = account.Password,
                },
                "import", file);
        }
        finally
        {
            File.Delete(file);
        }
    }
}
