using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using SnapshotFlow.Store;

namespace SnapshotFlow.Tests.Unit;

public sealed class ConfiguringTheStore
{
    [Fact]
    public void A_missing_connection_string_is_named_by_its_key() => Assert.Contains("Store:ConnectionString is missing", Problem(null), StringComparison.Ordinal);

    [Fact]
    public void An_unreadable_connection_string_is_named_by_its_key_and_not_repeated()
    {
        var problem = Problem("Host=127.0.0.1;Passwort=hunter2");
        Assert.Contains("Store:ConnectionString is no PostgreSQL connection string", problem, StringComparison.Ordinal);
        Assert.DoesNotContain("hunter2", problem, StringComparison.Ordinal);
    }

    [Fact]
    public void A_connection_string_without_a_host_is_refused() => Assert.Contains("names no Host", Problem("Database=x"), StringComparison.Ordinal);

    [Fact]
    public void A_command_timeout_out_of_bounds_is_named_by_its_key() =>
        Assert.Contains("Store:CommandTimeout", Problem("Host=127.0.0.1", "00:20:00"), StringComparison.Ordinal);

    [Fact]
    public void A_good_connection_string_makes_every_store()
    {
        using var provider = Provider("Host=127.0.0.1;Database=x", "00:00:05");
        Assert.Equal(TimeSpan.FromSeconds(5), provider.GetRequiredService<IOptions<StoreOptions>>().Value.CommandTimeout);
        foreach (var store in typeof(Database).Assembly.GetExportedTypes().Where(t => t.Name.EndsWith("Store", StringComparison.Ordinal)).Append(typeof(Database)))
        {
            Assert.NotNull(provider.GetService(store));
        }
    }

    private static string Problem(string? connectionString, string timeout = "00:00:05")
    {
        using var provider = Provider(connectionString, timeout);
        return Assert.Throws<OptionsValidationException>(() => provider.GetRequiredService<IOptions<StoreOptions>>().Value).Message;
    }

    private static ServiceProvider Provider(string? connectionString, string timeout)
    {
        var configuration = new ConfigurationBuilder()
            .AddInMemoryCollection(new Dictionary<string, string?> { ["Store:ConnectionString"] = connectionString, ["Store:CommandTimeout"] = timeout }).Build();
        return new ServiceCollection().AddStore(configuration).BuildServiceProvider();
    }
}
