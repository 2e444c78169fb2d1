using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Stack;

/// <summary><c>up</c>: the stack with one server that writes all the time, until it is told to stop.</summary>
internal static class UpCommand
{
    public static async Task<int> RunAsync(StackOptions options, CancellationToken ct)
    {
        await using var stack = await DevelopmentStack.StartAsync(options, Console.WriteLine, ct);
        var server = await GuestServer.StartAsync(stack, new GuestServerOptions { Existing = true }, ct);
        // Whoever tries things out makes more images than the default quota of ten snapshots has room for.
        await new QuotaStore(stack.Database).SetLimitAsync(Tokens.TenantProject, Quota.Snapshots, 1000, ct);
        var clientFiles = options.ClientDirectory ?? stack.State.Directory;
        await ClientFiles.WriteAsync(clientFiles, stack.Api, stack.Accounts, ct);
        await ClientFiles.WriteEnvironmentAsync(clientFiles, stack, ct);
        Explain(stack, server, clientFiles);
        var ended = await Task.WhenAny([.. stack.Processes.Append(server.Guest!).Select(p => p.WaitForExitAsync(ct))]);
        await ended;
        stack.ThrowIfAnyExited();
        server.Guest!.ThrowIfExited();
        return 0;
    }

    private static void Explain(DevelopmentStack stack, GuestServer server, string clientFiles)
    {
        var api = stack.Api.ToString().TrimEnd('/');
        Console.WriteLine($$$"""
            server {{{server.Id}}} (project {{{Tokens.TenantProject}}}) with three volumes, writing all the time

            API       {{{api}}}
            Dashboard {{{api}}}/      (in a browser; user {{{stack.Accounts.Tenant.Name}}} or {{{stack.Accounts.Admin.Name}}}, passwords in openrc and openrc-admin, see Client)
            Temporal  {{{stack.Temporal.Address}}}, namespace {{{stack.Temporal.Namespace}}} ({{{stack.Temporal.Description}}})
            Client    . {{{Path.Combine(clientFiles, "openrc")}}}      (openrc-admin for the administrator, clouds.yaml beside it)
            Token     export TOKEN={{{stack.Tokens.Tenant}}}      (the tenant's, for a day)
            Logs      {{{stack.State.Logs}}}

            Try, in another terminal, with the stock client (apt-get install python3-openstackclient):
              . {{{Path.Combine(clientFiles, "openrc")}}}
              openstack server image create --name first --wait {{{server.Id}}}
              openstack image list

            Or without it:
              curl -si -H "X-Auth-Token: $TOKEN" -H 'Content-Type: application/json' {{{api}}}/compute/v2.1/servers/{{{server.Id}}}/action -d '{"createImage": {"name": "first"}}'
              curl -s -H "X-Auth-Token: $TOKEN" {{{api}}}/runs
              curl -s -H "X-Auth-Token: $TOKEN" {{{api}}}/image/v2/images

            Whether everything works together: ./snapshotflow doctor
            Ctrl-C, or ./snapshotflow down, stops everything.
            """);
    }
}
